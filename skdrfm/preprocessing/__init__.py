"""Row-preserving transformers that treat each cross-section by itself."""

from skdrfm.preprocessing._impute import CrossSectionalImputer
from skdrfm.preprocessing._neutralize import CrossSectionalNeutralizer
from skdrfm.preprocessing._rank import CrossSectionalRankScaler
from skdrfm.preprocessing._standard import CrossSectionalStandardScaler
from skdrfm.preprocessing._winsorize import CrossSectionalWinsorizer

__all__ = [
    "CrossSectionalImputer",
    "CrossSectionalNeutralizer",
    "CrossSectionalRankScaler",
    "CrossSectionalStandardScaler",
    "CrossSectionalWinsorizer",
]
