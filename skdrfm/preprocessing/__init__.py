"""Row-preserving transformers that treat each cross-section by itself."""

from skdrfm.preprocessing._rank import CrossSectionalRankScaler

__all__ = ["CrossSectionalRankScaler"]
