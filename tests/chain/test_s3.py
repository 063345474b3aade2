"""Over S3: a centre publishes, a shop follows and contributes, old chunks go. Runs where moto's server and s3fs are."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chain_helpers import enrol, fill, held, new_store, signing

from catalogue import Catalogue
from retail_seg.chain.contributions import Contribution, contribute, open_contributions
from retail_seg.chain.following import follow
from retail_seg.chain.publishing import publish
from retail_seg.chain.remote import Remote
from retail_seg.errors import ChainError
from retail_seg.store.opening import CATALOGUE

moto = pytest.importorskip("moto.server", reason="no moto here: `make engines` installs it")
s3fs = pytest.importorskip("s3fs")
ADDRESS = "s3://chain/catalogue"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[moto.ThreadedMotoServer]:
    """An S3 of this machine with an empty bucket."""
    found = moto.ThreadedMotoServer(ip_address="127.0.0.1", port=0)
    found.start()
    host, port = found.get_host_and_port()
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "x")
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    s3fs.S3FileSystem(skip_instance_cache=True).mkdir("chain")
    yield found
    found.stop()


def test_published_followed_swept_and_contributed_to(server: moto.ThreadedMotoServer, tmp_path: Path) -> None:
    centre, shop, key = new_store(tmp_path / "centre"), new_store(tmp_path / "shop"), signing(tmp_path)
    fill(centre, 3)
    publish(centre, ADDRESS, key)
    assert follow(shop, ADDRESS).fresh and held(shop) == held(centre)
    enrol(centre, "fresh", "fresh 0")
    before = set(Remote(ADDRESS).stored())
    swept = publish(centre, ADDRESS, key, keep=1, grace=0).swept
    assert swept is not None and swept.removed == len(before - set(Remote(ADDRESS).stored())) > 0
    assert follow(shop).stands.number == 2 and held(shop) == held(centre)
    enrol(shop, "local", "local 0")
    with Catalogue.open(shop / CATALOGUE) as catalogue:
        assert contribute(catalogue) == 1
    with Catalogue.open(centre / CATALOGUE) as catalogue:
        (one,) = open_contributions(catalogue, ADDRESS)
        assert isinstance(one, Contribution) and one.product.sku == "local"
    with pytest.raises(ChainError, match="no snapshot is published there"):
        follow(new_store(tmp_path / "none"), "s3://chain/none")
