"""Give a finished draft its name."""

from __future__ import annotations

import hashlib
import shutil
import tempfile
from pathlib import Path

from fairlead.bundle.layout import SHORT
from fairlead.bundle.verify import verify
from fairlead.schema.bundle import Manifest


def publish(folder: Path, out: Path, manifest: Manifest) -> Path:
    """Give the draft its final name and return it; a bundle that is there already and sound is left as it is."""
    digest = hashlib.sha256(manifest.canonical_json()).hexdigest()
    final = out / f"{manifest.name}-{digest[:SHORT]}"
    if final.is_dir():
        if not verify(final):
            return final
        broken = Path(tempfile.mkdtemp(prefix=".broken-", dir=out))
        final.rename(broken / final.name)
        folder.rename(final)
        shutil.rmtree(broken, ignore_errors=True)
        return final
    folder.rename(final)
    return final
