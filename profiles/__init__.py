"""Device profiles: data only, one TOML file each. `hwbench.machine.device_profiles` reads them."""
