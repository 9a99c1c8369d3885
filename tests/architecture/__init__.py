"""What keeps the house in order: import contracts, sizes, the shape of packages."""
