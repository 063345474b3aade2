"""A catalogue changed at the centre and read in shops: published as signed snapshots, followed, contributed to."""
