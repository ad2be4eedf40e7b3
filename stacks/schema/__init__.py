"""The blocks of the settings schema, one noun a module. `stacks/settings.py` composes and reads them."""
