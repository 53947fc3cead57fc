"""Sphinx builds the site from this folder, without the network: ``sphinx-build -W --keep-going -b html docs OUT``."""

import os
import sys
import warnings
from importlib import metadata
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_extensions"))
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

project = "skdrfm"
author = "The skdrfm developers"
project_copyright = author
release = version = metadata.version("skdrfm")

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_design",
    "sphinx_copybutton",
    "sphinxcontrib.bibtex",
    "sphinx_gallery.gen_gallery",
    # in _extensions
    "api_links",
    "data_docstrings",
    "link_check",
    "mathml",
]
exclude_patterns = ["_build", "auto_examples/**/*.ipynb", "auto_examples/**/*.py", "**/GALLERY_HEADER.rst"]
templates_path = ["_templates"]

# The pages are Markdown that reads well on the repository page too.
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 4
myst_dmath_double_inline = True

# One page for each public name; types stand in the text of the docstrings.
autosummary_generate = True
autodoc_typehints = "none"
autodoc_class_signature = "mixed"
numpydoc_show_class_members = False
add_module_names = False
toc_object_entries = False
default_role = "code"

bibtex_bibfiles = ["references.bib"]
bibtex_reference_style = "author_year"
bibtex_default_style = "plain"

html_theme = "pydata_sphinx_theme"
html_title = "skdrfm"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "logo": {"text": "skdrfm"},
    "header_links_before_dropdown": 7,
    "navbar_persistent": [],
    "navbar_end": ["search-button", "theme-switcher"],
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "show_prev_next": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
    "pygments_light_style": "a11y-high-contrast-light",
    "pygments_dark_style": "a11y-high-contrast-dark",
}
html_sidebars = {"index": [], "glossary": [], "cite": []}
copybutton_exclude = ".linenos, .gp, .go"

CHAPTERS = (
    "first_steps",
    "panel_and_descriptors",
    "models",
    "explanations",
    "portfolios",
    "tuning_and_scale",
)
sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "subsection_order": [f"../examples/{chapter}" for chapter in CHAPTERS],
    "within_subsection_order": "FileNameSortKey",
    "ignore_pattern": r"(^|[/\\])(?!plot_)[^/\\]*\.py$",  # longer scripts, which need data or minutes
    "backreferences_dir": "api/generated/backreferences",
    "doc_module": ("skdrfm",),
    "abort_on_example_error": False,
    "download_all_examples": False,
    "show_signature": False,
    "write_computation_times": False,
    "min_reported_time": 1,
    "image_srcset": ["2x"],
    "ignore_repr_types": r"matplotlib|Display",
}

# Warnings of other packages while examples run; ours are part of the page.
warnings.filterwarnings("ignore", category=DeprecationWarning, module="keras|tensorflow|shap")
