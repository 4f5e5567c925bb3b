"""The pipeline's fixtures for the tests of this folder."""

from tests.pipeline import pipeline, venue_process

__all__ = ["pipeline", "venue_process"]
