"""The parts of the stage store: files, entries, owners, leases, eviction, quarantine."""
