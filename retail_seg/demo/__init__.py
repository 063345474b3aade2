"""A demo that needs nothing: a store is made, photos are scanned, and the truth stands beside the result."""

from retail_seg.demo.making import MARKER, DemoResult, Row, app_file, check_store, table
from retail_seg.demo.rendered import run_demo
from retail_seg.demo.shelf_demo import run_shelf_demo

__all__ = ["MARKER", "DemoResult", "Row", "app_file", "check_store", "run_demo", "run_shelf_demo", "table"]
