"""How a study is searched: sampler, ASHA, coordinator, Ray adapters, command line."""
