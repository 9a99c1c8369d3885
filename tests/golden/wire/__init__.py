"""What agents and hubs of former versions said to each other, and left on disks: see the README beside."""
