"""One exchange class of ccxt without the other hundred: a fifth of the time and half of the memory of the whole."""

import importlib
import sys
import threading
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any

ROOT, ASYNC = "ccxt", "ccxt.async_support"

_loading = threading.RLock()


def exchange_class(exchange_id: str) -> Any:
    """Import ccxt's asynchronous class of one exchange; takes a part of a second, so not on an event loop.

    ccxt's two packages import every exchange as soon as a module of theirs is imported. Here they wait with that until
    somebody asks them for a name, so `import ccxt` elsewhere finds all that there is.

    Raises:
        AttributeError: ccxt has no such exchange.
    """
    with _loading:
        for name in (ROOT, ASYNC):
            if name not in sys.modules:
                _wait_with(name)
        try:
            importlib.import_module(f"{ASYNC}.{exchange_id}")
        except ModuleNotFoundError:
            return getattr(sys.modules[ASYNC], exchange_id)
        # A module stands in its package under the name that the package gives to the class in it.
        for name, found in list(vars(sys.modules[ASYNC]).items()):
            if isinstance(found, ModuleType) and hasattr(found, name):
                setattr(sys.modules[ASYNC], name, getattr(found, name))
        return getattr(sys.modules[ASYNC], exchange_id)


class _Waiting(ModuleType):
    """A package whose own code has not run yet."""

    def __getattr__(self, name: str) -> Any:
        of_python = name.startswith("__")
        if of_python and name not in {"__all__", "__version__"}:
            raise AttributeError(name)
        if self.__name__ == ROOT and not of_python and (found := _of_base(name)) is not None:
            return found
        with _loading:
            if isinstance(self, _Waiting):
                self.__class__ = ModuleType  # type: ignore[assignment]
                assert self.__spec__ is not None
                assert self.__spec__.loader is not None
                self.__spec__.loader.exec_module(self)
        return getattr(self, name)


def _wait_with(name: str) -> None:
    spec = find_spec(name)
    if spec is None:
        raise ModuleNotFoundError(name=name)
    package = module_from_spec(spec)
    package.__class__ = _Waiting
    sys.modules[name] = package
    parent, _, last = name.rpartition(".")
    if parent:
        setattr(sys.modules[parent], last, package)


def _of_base(name: str) -> Any:
    """What ccxt's own modules import from it, from where it is; None for everything else."""
    if name == "Exchange":
        return importlib.import_module("ccxt.base.exchange").Exchange
    return getattr(importlib.import_module("ccxt.base.errors"), name, None)
