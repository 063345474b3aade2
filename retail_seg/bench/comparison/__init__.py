"""The bench of methods: classical and learned, on the same photos, side by side in pictures and in scores.

job       what is compared on which photos; a result, and where it is kept
methods   every method by name, and what makes it ready
worker    one method in a process of its own
runner    all of them, one after the other, and their ranking
overlays  pictures of what was found
report    one HTML page of it all
"""
