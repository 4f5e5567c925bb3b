"""`fillonce docs`: the contract as files, as one document, and as a page."""

import re
import signal
from pathlib import Path

import orjson
import pytest

from streams.contract import asyncapi, schemas
from tests.commands import Shell
from tests.scrape import fetch
from tests.support import wait_until


def test_the_documents_are_written_into_a_folder(tmp_path: Path):
    """The AsyncAPI document and a schema a stream; a folder that cannot be written is said in one sentence."""
    shell = Shell(tmp_path)
    assert shell("docs", "contract").code == 0
    assert {one.name for one in (tmp_path / "contract").iterdir()} == {
        "asyncapi.json", *(f"{name}.schema.json" for name in schemas()),
    }  # fmt: skip
    assert shell("docs", "--json").json == orjson.loads(orjson.dumps(asyncapi()))
    (tmp_path / "file").touch()
    said = shell("docs", "file")
    assert (said.code, said.err.count("Cannot write into file")) == (2, 1)


@pytest.mark.slow
def test_the_page_is_served_until_ctrl_c(tmp_path: Path):
    """With the documents beside it; an address that is taken is said in one sentence."""
    shell = Shell(tmp_path)
    with shell.started("docs", "--serve", "127.0.0.1:0") as process:
        wait_until(lambda: "until Ctrl-C" in shell.written("docs"), 30)
        [address] = re.findall(r"(http://127[.0-9]+:\d+)/", shell.written("docs"))
        assert "<h1>fillonce 1." in fetch(address, "/")[1]
        assert fetch(address, "/asyncapi.json")[0] == fetch(address, "/events.schema.json")[0] == 200
        assert fetch(address, "/nothing")[0] == 404
        said = shell("docs", "--serve", address.removeprefix("http://"))
        assert (said.code, "Cannot serve at" in said.err) == (2, True)
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 130
    assert "Traceback" not in shell.written("docs")
    assert shell("docs", "--serve", "nowhere").code == 2
