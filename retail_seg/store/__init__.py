"""A store opened, kept level and changed: catalogue, gallery, scanning, enrolment, import, backup, models, settings."""
