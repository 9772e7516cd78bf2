"""BaRT, a barrage of random transforms, with one file per kind of transform."""

from .bart import BaRT as BaRT
