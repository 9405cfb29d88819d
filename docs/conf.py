"""How these pages are built: `sphinx-build -W --keep-going -n docs docs/build/html`. It needs no network."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "extensions"))

from cnnexplain.version import VERSION  # noqa: E402

project = "cnnexplain"
author = copyright = "the authors of cnnexplain"
version = release = VERSION
language = "en_GB"

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "docstrings",  # these are in docs/extensions
    "reference_pages",  # a page for every public module
    "code_links",  # `explain.grad_cam` in a page is a link to its entry there
    "mathml",  # formulas as MathML, which needs neither a script nor a network
]
source_suffix = {".md": "markdown", ".rst": "restructuredtext"}
exclude_patterns = ["build", "extensions"]

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3

autodoc_typehints = "none"
autodoc_member_order = "bysource"
autodoc_class_signature = "mixed"
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
add_module_names = False
toc_object_entries_show_parents = "hide"
nitpick_ignore = [
    ("py:class", "numpy.ndarray"),
    ("py:class", "pathlib.Path"),
    ("py:class", "cnnexplain.keras.layers.multi_head_attention.GroupedQueryAttention"),
]
html_math_renderer = "mathml"

html_theme = "furo"
html_title = f"cnnexplain {VERSION}"
html_static_path = ["static"]
html_css_files = ["pages.css"]
html_copy_source = False
html_show_sphinx = False
html_theme_options = {
    "navigation_with_keys": True,
    "footer_icons": [],
}
