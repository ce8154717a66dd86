from __future__ import annotations

import pytest

from search.cluster import check_address
from spaces.errors import InputError


@pytest.mark.parametrize("address", ["auto", "10.0.0.1:6379", "local"])
def test_an_address_of_a_cluster_is_taken(address: str) -> None:
    check_address(address)


def test_an_address_of_rays_client_is_refused_with_the_remedy() -> None:
    with pytest.raises(InputError) as refused:
        check_address("ray://head:10001")
    assert "ray://head:10001" in str(refused.value)
    assert "--address head:6379" in str(refused.value)
