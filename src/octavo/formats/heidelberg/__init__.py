"""Heidelberg: raw exports (`.vol`), `.E2E`, XML exports, and the layers and positions they share."""
