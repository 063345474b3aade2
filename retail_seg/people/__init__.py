"""Who is at work and what they may do: roles, users, sessions."""
