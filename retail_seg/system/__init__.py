"""What every room stands on: files, jobs, threads, interruptions, settings of the environment."""
