"""One exchange of ccxt is imported alone, and whoever imports ccxt afterwards misses nothing."""

import subprocess
import sys

import pytest


def tried(program: str) -> str:
    """What a program prints in a process of its own, where nobody has imported ccxt."""
    told = "import sys\nfrom adapters.ccxt_class import exchange_class\n" + program
    done = subprocess.run([sys.executable, "-c", told], capture_output=True, text=True, check=False, timeout=50)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_one_exchange_comes_without_the_others() -> None:
    """Kraken's module is not there."""
    assert tried(
        "made = exchange_class('binance')()\n"
        "print(made.id, 'ccxt.async_support.kraken' in sys.modules, 'ccxt.kraken' in sys.modules)"
    ) == "binance False False"  # fmt: skip


def test_a_later_import_of_ccxt_finds_everything_and_the_same_classes() -> None:
    """Packages, names, and the errors that are caught by class."""
    assert tried(
        "made = exchange_class('binance')\n"
        "import ccxt, ccxt.async_support\n"
        "from ccxt import *\n"
        "print(ccxt.async_support.binance is made, issubclass(made, ccxt.async_support.Exchange), kraken.__name__)\n"
        "print(len(ccxt.exchanges) > 90, issubclass(ccxt.NetworkError, ccxt.BaseError), bool(ccxt.__version__))"
    ) == "True True kraken\nTrue True True"  # fmt: skip


def test_ccxt_that_is_imported_already_is_used_as_it_is() -> None:
    """Whole, as somebody else wanted it."""
    assert tried(
        "import ccxt.async_support\n"
        "print(exchange_class('kraken') is ccxt.async_support.kraken)"
    ) == "True"  # fmt: skip


@pytest.mark.parametrize("name", ["nonesuch", "exchanges_of_mine"])
def test_an_exchange_that_there_is_not_is_told_as_by_ccxt(name: str) -> None:
    """An AttributeError, as its package raises one."""
    assert tried(
        "try:\n"
        f"    exchange_class({name!r})\n"
        "except AttributeError as error:\n"
        "    print(error.name)"
    ) == name  # fmt: skip
