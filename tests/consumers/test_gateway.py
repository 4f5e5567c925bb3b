"""The gateway."""
from tests.pipeline import Pipeline

async def test_an_order_fills_and_the_audit_is_clean(pipeline: Pipeline) -> None:
    """Smoke."""
    await pipeline.all_roles()
    await pipeline.house("SELL", 2)
    [name] = await pipeline.place(pipeline.terms())
    order = await pipeline.status(name, "filled")
    assert order.state.filled == 1
    await pipeline.quiet()
    assert not (await pipeline.audit()).defects
