"""`fillonce docs`: the wire contract as files, for programs in any language."""

from pathlib import Path
from typing import Annotated

import typer

from consumers.commands import output
from streams.errors import UsageError


def docs(
    folder: Annotated[Path, typer.Argument(help="Where to write; made when it is not there.")] = Path("contract"),
    *,
    as_json: Annotated[
        bool, typer.Option("--json", help="Write no file; the AsyncAPI document on standard output.")
    ] = False,
) -> int:
    """Write the AsyncAPI document of every stream, and the JSON Schema of what is in each.

    \b
    Examples:
      fillonce docs contract
      fillonce docs --json | jq '.channels | keys'
    """  # noqa: D301 - \b tells the help to keep the lines
    import orjson

    from streams.contract import asyncapi, schemas

    if as_json:
        output.document(asyncapi())
        return output.DONE
    files = {"asyncapi.json": asyncapi(), **{f"{name}.schema.json": one for name, one in schemas().items()}}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, document in files.items():
            (folder / name).write_bytes(orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n")
    except OSError as error:
        raise UsageError(f"Cannot write into {folder}: {error.strerror}.") from None
    output.show(f"wrote {', '.join(sorted(files))} into {folder}")
    return output.DONE
