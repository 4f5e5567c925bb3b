"""`fillonce docs`: the wire contract as files, for programs in any language."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from consumers.commands import output
from streams.errors import UsageError


def docs(
    folder: Annotated[Path, typer.Argument(help="Where to write; made when it is not there.")] = Path("contract"),
    *,
    serve: Annotated[
        str, typer.Option(metavar="HOST:PORT", help="Write no file; show the documents to browsers until Ctrl-C.")
    ] = "",
    as_json: Annotated[
        bool, typer.Option("--json", help="Write no file; the AsyncAPI document on standard output.")
    ] = False,
) -> int:
    """Write the AsyncAPI document of every stream, and the JSON Schema of what is in each.

    \b
    Examples:
      fillonce docs contract
      fillonce docs --serve 127.0.0.1:8001
      fillonce docs --json | jq '.channels | keys'
    """  # noqa: D301 - \b tells the help to keep the lines
    import orjson

    from streams.contract import asyncapi, schemas

    if as_json:
        output.document(asyncapi())
        return output.DONE
    files = {"asyncapi.json": asyncapi(), **{f"{name}.schema.json": one for name, one in schemas().items()}}
    if serve:
        return _serve(serve, files)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, document in files.items():
            (folder / name).write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
    except OSError as error:
        raise UsageError(f"Cannot write into {folder}: {error.strerror}.") from None
    output.show(f"wrote {', '.join(sorted(files))} into {folder}")
    return output.DONE


def _serve(address: str, files: Mapping[str, Mapping[str, Any]]) -> int:
    """Serve the page at `/` and each document by its name."""
    import uvicorn
    from faststream.asgi import AsgiFastStream

    from consumers.listening import listen, shown
    from consumers.pages import pages

    try:
        listening = listen(address)
    except (OSError, ValueError) as error:
        raise UsageError(f"Cannot serve at {address}: {error}; give a free HOST:PORT, 127.0.0.1:8001.") from None
    output.show(f"the contract is at {shown(listening)}/ until Ctrl-C")
    app = AsgiFastStream(asgi_routes=pages(files), logger=None)
    config = uvicorn.Config(app, lifespan="off", log_config=None, access_log=False, ws="none", http="h11")
    uvicorn.Server(config).run(sockets=[listening])
    return output.DONE
