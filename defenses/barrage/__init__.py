"""A barrage of random transforms, one file a kind."""

from .bart import BaRT as BaRT
