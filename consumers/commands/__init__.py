"""The commands of `fillonce`, one module each. What is slow to import stays inside the function that needs it."""
