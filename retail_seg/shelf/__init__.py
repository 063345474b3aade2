"""The shelf check: what should stand on a fixture, held against what photos show of it, and what is to be done."""
