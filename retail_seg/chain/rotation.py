"""Keys of a chain in turn: the centre tells its shops of a new one in what the old one signs, and of the old one's end.

At the centre the keys are a setting of the store, and each head says them. A shop trusts what a head says that a key
signed which it trusts, and what a person there adds (compare the roles of The Update Framework, theupdateframework.io).
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from catalogue import following
from retail_seg.chain.following import alone
from retail_seg.chain.keys import Keys, PublicKey
from retail_seg.chain.publishing import own_keys, state_own_keys
from retail_seg.errors import ChainError
from retail_seg.people.roles import sign
from retail_seg.store.following import followed_by
from retail_seg.store.opening import open_catalogue


def keys_of(store: Path) -> Keys:
    """The keys that a shop trusts, or those of which a centre tells; raises StoreError."""
    with open_catalogue(store) as catalogue:
        stands = followed_by(catalogue)
        return own_keys(catalogue) if stands is None else Keys(stands.trusted, stands.retired)


def add_key(store: Path, key: PublicKey, *, by: str = "") -> None:
    """Trust one more key: at the centre shops hear of it with the next snapshot. Only a manager may.

    Raises ChainError for one that was retired: who has found the old file could use it.
    """
    by, found = sign("manager", by), keys_of(store)
    if str(key) in found.retired:
        raise ChainError(f"{store}: key {key.fingerprint} was retired; make another with `retail-seg key new FILE`")
    _change(store, found.told(Keys((str(key),))), f"add key {key.fingerprint}", by)


def retire_key(store: Path, key: PublicKey, *, by: str = "") -> None:
    """Trust a key no more: at the centre shops hear of it with the next snapshot. Only a manager may.

    Raises ChainError for the only one, and for one that is not trusted.
    """
    by, found = sign("manager", by), keys_of(store)
    if str(key) not in found.trusted:
        raise ChainError(f"{store}: key {key.fingerprint} is not among its keys; see `retail-seg key list`")
    if found.trusted == (str(key),):
        raise ChainError(
            f"{store}: key {key.fingerprint} is its only one; add the next with `retail-seg key add` first"
        )
    _change(store, found.told(Keys((), (str(key),))), f"retire key {key.fingerprint}", by)


def _change(store: Path, keys: Keys, action: str, by: str) -> None:
    with alone(store), open_catalogue(store) as catalogue, catalogue.logged(action, by=by):
        stands = followed_by(catalogue)
        if stands is None:
            state_own_keys(catalogue, keys)
        else:
            following.note(catalogue, replace(stands, keys=keys.trusted, retired=keys.retired).to_json())
