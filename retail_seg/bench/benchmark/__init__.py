"""Time and memory of every stage beside a peer in the same run; each module measures one stage."""
