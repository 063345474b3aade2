"""A chain on paper: indexes at sizes, a day simulated, and what photos, lines and disks cost, from measured times."""
