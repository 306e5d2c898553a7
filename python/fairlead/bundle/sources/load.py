"""Read a SOURCE: a file, `module:attribute`, or a model object."""

from __future__ import annotations

import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from fairlead.bundle.runtime.callable import import_entry
from fairlead.bundle.runtime.load import HARMLESS_TYPES, load_estimator
from fairlead.bundle.sample import file_sha256, first_line
from fairlead.bundle.sources.code import code_sha256, collect_code
from fairlead.bundle.sources.source import Origin, Source
from fairlead.errors import BadInputError

_ENTRY = re.compile(r"^[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*(\.[A-Za-z_]\w*)*$")
_PICKLES = (".pkl", ".pickle", ".joblib")
_KINDS = "a .onnx, LightGBM .txt, XGBoost .json or .ubj, .skops, .pkl or .joblib file, or module:attribute"


def load_source(source: object, *, trust_pickle: bool) -> Source:
    """Return the model that SOURCE names or is.

    Raises `BadInputError` saying what is wrong: no such file, a file that is not a model, a pickle without trust, an
    object that is not a model.
    """
    if isinstance(source, Path) or (isinstance(source, str) and not _ENTRY.match(source)):
        return _from_file(Path(source), trust_pickle=trust_pickle)
    if isinstance(source, str):
        return _from_entry(source)
    kind = type(source)
    return _from_object(source, Origin(f"object:{kind.__module__}.{kind.__qualname__}", Path.cwd()))


def _from_file(path: Path, *, trust_pickle: bool) -> Source:
    if not path.is_file():
        raise BadInputError(f"no model file {path}", hint=f"SOURCE is {_KINDS}")
    suffix = path.suffix.lower()
    if suffix in _PICKLES and not trust_pickle:
        raise BadInputError(
            f"{path.name} is a pickle: loading it can run any code",
            hint="add --trust-pickle if you made it, or save the model with skops",
        )
    readers: dict[str, Callable[[Path, Origin], Source]] = {
        ".onnx": _read_onnx,
        ".txt": _read_lightgbm,
        ".json": _read_xgboost,
        ".ubj": _read_xgboost,
        ".skops": _read_skops,
        **dict.fromkeys(_PICKLES, _read_pickle),
    }
    if suffix not in readers:
        raise BadInputError(f"{path.name}: not a kind of model file that is known here", hint=f"SOURCE is {_KINDS}")
    return readers[suffix](path, Origin(path.name, path.resolve().parent, file_sha256(path)))


def not_a_model(path: Path, kind: str, error: BaseException) -> BadInputError:
    """Return the error for a file that its library cannot read."""
    return BadInputError(f"{path.name} is not {kind}: {first_line(error)}")


def _read_onnx(path: Path, origin: Origin) -> Source:
    from fairlead.bundle.sources.onnx import OnnxSource

    return OnnxSource.read(path, origin)


def _read_lightgbm(path: Path, origin: Origin) -> Source:
    import lightgbm

    from fairlead.bundle.sources.lightgbm import LightgbmSource

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise not_a_model(path, "a LightGBM model", error) from error
    try:
        _check_whole(text)
        booster = lightgbm.Booster(model_str=text)
    except (lightgbm.basic.LightGBMError, ValueError) as error:
        raise not_a_model(path, "a LightGBM model", error) from error
    return LightgbmSource(booster, origin)


def _check_whole(text: str) -> None:
    """Raise `ValueError` for files on which LightGBM itself would end the process."""
    if not text.startswith("tree"):
        raise ValueError("it does not begin with `tree`")
    header, first, others = text.partition("\nTree=0\n")
    for line in header.splitlines():
        sizes = line.removeprefix("tree_sizes=")
        if sizes != line and len(first.lstrip()) + len(others) < sum(map(int, sizes.split())):
            raise ValueError("it ends before the last of the trees that it announces")


def _read_xgboost(path: Path, origin: Origin) -> Source:
    import xgboost

    from fairlead.bundle.sources.xgboost import XgboostSource

    try:
        booster = xgboost.Booster(model_file=path)
    except (xgboost.core.XGBoostError, ValueError) as error:
        raise not_a_model(path, "an XGBoost model", error) from error
    return XgboostSource(booster, origin)


def _read_skops(path: Path, origin: Origin) -> Source:
    import skops.io

    from fairlead.bundle.sources.sklearn import SklearnSource

    try:
        unknown = set(skops.io.get_untrusted_types(file=path)) - set(HARMLESS_TYPES)
        estimator = None if unknown else load_estimator(path, "skops")
    except Exception as error:  # whatever a broken archive makes skops raise
        raise not_a_model(path, "a skops file", error) from error
    if unknown:
        found = ", ".join(sorted(unknown))
        raise BadInputError(f"{path.name} holds types that skops does not know to be safe: {found}")
    return SklearnSource(estimator, origin, {"skops": path.read_bytes()})


def _read_pickle(path: Path, origin: Origin) -> Source:
    import joblib

    try:
        model = joblib.load(path)
    except Exception as error:  # unpickling can raise anything
        raise not_a_model(path, "a pickle that loads here", error) from error
    return _from_object(model, origin, {"pickle": path.read_bytes()})


def _from_entry(entry: str) -> Source:
    module_name = entry.partition(":")[0]
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    try:
        found = import_entry(entry)
        module = importlib.import_module(module_name)
    except Exception as error:  # the module is the user's: it can raise anything
        raise BadInputError(f"{entry} cannot be imported: {type(error).__name__}: {first_line(error)}") from error
    code = collect_code(module)
    folder = Path(module.__file__ or ".").resolve().parent
    return _from_object(found, Origin(entry, folder, code_sha256(code), code))


def _from_object(model: Any, origin: Origin, as_read: dict[str, bytes] | None = None) -> Source:
    libraries = {kind.__module__.partition(".")[0] for kind in type(model).__mro__}
    if "lightgbm" in libraries and hasattr(model, "predict"):
        from fairlead.bundle.sources.lightgbm import LightgbmSource

        return LightgbmSource(model, origin)
    if "xgboost" in libraries and hasattr(model, "predict"):
        from fairlead.bundle.sources.xgboost import XgboostSource

        return XgboostSource(model, origin)
    if "onnx" in libraries and hasattr(model, "graph"):
        from fairlead.bundle.sources.onnx import OnnxSource

        return OnnxSource(model, origin)
    if not isinstance(model, type) and hasattr(model, "predict") and hasattr(model, "get_params"):
        from fairlead.bundle.sources.sklearn import SklearnSource

        return SklearnSource(model, origin, as_read or {})
    if callable(model) and not isinstance(model, type):
        return _from_callable(model, origin)
    raise BadInputError(
        f"{origin.text} is a {type(model).__name__}: not a model that is known here",
        hint="give an estimator with `predict`, a booster, an ONNX model or a function of a batch",
    )


def _from_callable(function: Any, origin: Origin) -> Source:
    from fairlead.bundle.sources.callable import CallableSource

    if origin.code:
        return CallableSource(function, origin)
    module_name = getattr(function, "__module__", "__main__")
    name = getattr(function, "__qualname__", "<unnamed>")
    if module_name == "__main__" or "<" in name:
        raise BadInputError(
            f"the function {name} cannot be found again by a server: it is in no module",
            hint="write it into a module of its own and pack `module:function`",
        )
    return _from_entry(f"{module_name}:{name}")
