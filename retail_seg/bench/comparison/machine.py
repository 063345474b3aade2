"""What the times of a comparison hold for, in words."""

from __future__ import annotations

import os
import platform

from retail_seg.bench.benchmark.measure import processor
from retail_seg.system.settings import settings
from retail_seg.system.threads import cores


def machine_text(*, load: bool = True) -> str:
    """Processor, cores, threads a method, Python, and how busy the machine is now."""
    threads = settings().threads
    busy = f", load {os.getloadavg()[0]:.1f} at the end" if load and hasattr(os, "getloadavg") else ""
    limit = f", {threads} {'thread' if threads == 1 else 'threads'} a method" if threads else ""
    return f"{processor()[0]}, {cores()} cores{limit}{busy}, Python {platform.python_version()}"
