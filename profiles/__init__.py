"""Device profiles: data only, one TOML file each. `hwbench.devices` reads them."""
