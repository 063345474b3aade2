"""What nobody would send: schemathesis over the whole document, a thousand seeded mutants through server and CLI."""

from __future__ import annotations

import io
import json
import os
import random
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from api_helpers import Api, form, picture_of
from click.testing import CliRunner
from PIL import Image

from retail_seg.cli import cli
from retail_seg.system.memory import resident_bytes

ROOT = Path(__file__).parents[2]
#: Megabytes by which the process may grow over all mutants.
GROWTH = 600


def schemathesis(api: Api, *words: str) -> None:
    """Run schemathesis on a server with all its checks; fails with its summary where it finds something."""
    command = [sys.executable, "-m", "schemathesis.cli", "run", f"{api.url}/openapi.json", "--no-color", "--seed", "1"]
    header = ["-H", f"Authorization: Bearer {api.tokens['manager']}"]
    paths = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), str(ROOT / "tests")])}
    run = subprocess.run(
        [*command, *header, *words], cwd=ROOT, env=paths, capture_output=True, text=True, check=False, timeout=900
    )
    assert run.returncode == 0, run.stdout[-6000:]


def test_schemathesis_finds_nothing_where_no_photo_is_asked_for(api: Api) -> None:
    schemathesis(api, "-n", "3", "--phases", "coverage,fuzzing", "--exclude-path-regex", "scan$|match$|infer$|imports$")


def test_schemathesis_finds_nothing_about_photos(api: Api) -> None:
    schemathesis(api, "-n", "3", "--phases", "fuzzing", "--include-path-regex", "scan$|match$|infer$|imports$")


def test_schemathesis_finds_nothing_in_sequences_of_calls(api: Api) -> None:
    schemathesis(api, "-n", "3", "--phases", "stateful")


def mutants(seed: bytes, count: int, chance: random.Random) -> Iterator[bytes]:
    """Copies of some bytes with a few changed, cut out, doubled or cut off."""
    for _ in range(count):
        data = bytearray(seed)
        for _ in range(chance.randint(1, 6)):
            at = chance.randrange(max(len(data), 1))
            kind = chance.randrange(5)
            if kind == 0 and data:
                data[at] = chance.randrange(256)
            elif kind == 1:
                del data[at : at + chance.randint(1, 64)]
            elif kind == 2:
                data[at:at] = data[at : at + chance.randint(1, 64)]
            elif kind == 3:
                data[at : at + 4] = chance.choice([b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff"])
            else:
                data = data[: max(at, 1)] or bytearray(b"x")
        yield bytes(data)


def pictures() -> dict[str, bytes]:
    """One small picture of each format."""
    picture = Image.open(io.BytesIO(picture_of(0))).resize((96, 96))
    found = {}
    for kind, mode in (("JPEG", "RGB"), ("PNG", "RGBA"), ("WEBP", "RGB"), ("TIFF", "L"), ("BMP", "P"), ("GIF", "P")):
        out = io.BytesIO()
        picture.convert(mode).save(out, kind)
        found[kind] = out.getvalue()
    return found


def packed() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as file:
        file.writestr("goods.csv", "sku,name,image\nM-1,One,a.png\nM-2,Two,\n")
        file.writestr("a.png", pictures()["PNG"])
    return out.getvalue()


def test_a_thousand_mutants_get_answers_and_no_traceback(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    chance = random.Random(1)
    before, sent = resident_bytes(), 0
    for kind, seed in pictures().items():
        for data in mutants(seed, 90, chance):
            found = api.ask("POST", "/v1/match", files=[("photo", f"m.{kind}", data)])
            assert found.status in (200, 422) and (found.status == 200 or found.problem), kind
            sent += 1
    body = json.dumps({"sku": "M-0", "name": "ä", "attributes": {"a": "b"}, "photos": []}, ensure_ascii=False).encode()
    for data in mutants(body, 200, chance):
        found = api.ask("POST", "/v1/products", data)
        assert found.status == 201 or (found.status in (400, 409, 422) and found.problem)
        sent += 1
    data, kind = form([("photo", "p.png", pictures()["PNG"])], {"top": "3"})
    for changed in mutants(data, 160, chance):
        found = api.ask("POST", "/v1/match", changed, headers={"Content-Type": kind})
        assert found.status == 200 or (found.status in (400, 422) and found.problem)
        sent += 1
    for changed in mutants(packed(), 100, chance):
        found = api.ask("POST", "/v1/imports", files=[("file", "goods.zip", changed)])
        assert found.status in (202, 422, 503), found.body
        sent += 1
    assert sent == 1000 and (resident_bytes() - before) >> 20 < GROWTH
    assert not [record for record in caplog.records if record.exc_info], "nothing was unforeseen"


def test_mutants_through_the_command_line_are_lines_and_no_traceback(small: Path, tmp_path: Path) -> None:
    chance = random.Random(2)
    for kind, seed in pictures().items():
        for number, data in enumerate(mutants(seed, 40, chance)):
            (tmp_path / f"{kind}-{number}.png").write_bytes(data)
    before = resident_bytes()
    result = CliRunner().invoke(cli, ["match", str(tmp_path), "--store", str(small)], standalone_mode=False)
    assert result.exception is None, result.exception
    answered = result.stdout.splitlines()
    refused = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(answered) + len(refused) == 240 and all(json.loads(line) for line in answered)
    assert "Traceback" not in result.stderr and (resident_bytes() - before) >> 20 < GROWTH
