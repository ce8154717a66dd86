"""The commands, a module for each kind. Heavy packages are loaded by the ones that need them."""
