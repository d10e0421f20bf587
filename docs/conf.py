"""How Sphinx builds the documentation: sphinx-build -W docs site."""

from __future__ import annotations

import re
from importlib.metadata import version as version_of

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.domains.python import PyXRefRole

project = "napari-lungcls"
author = "the napari-lungcls developers"
copyright = f"2026, {author}"
release = version_of(project)
version = release.partition("+")[0]

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["site"]
default_role = "code_or_name"

myst_enable_extensions = ["colon_fence"]
# Deep enough for every link of the pages; the anchors are those of GitHub.
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
autodoc_type_aliases = {"ArrayLike": "ArrayLike", "PathLike": "PathLike"}
napoleon_google_docstring = False
napoleon_use_ivar = True
# The signature has the types already.
napoleon_attr_annotations = False
napoleon_use_rtype = False
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 80

html_theme = "pydata_sphinx_theme"
html_title = project
html_show_sourcelink = False
html_theme_options = {
    "github_url": "https://github.com/napari-lungcls/napari-lungcls",
    "secondary_sidebar_items": ["page-toc"],
    "navigation_with_keys": False,
}


class CodeOrName(PyXRefRole):
    """Text in single backticks: a link where it names something documented, else code."""

    def run(self) -> tuple[list[nodes.Node], list[nodes.system_message]]:
        """Look up names only; paths, shapes and formulas stay as they are."""
        if re.fullmatch(r"[A-Za-z_][\w.]*", self.text):
            return super().run()
        return [nodes.literal(self.rawtext, self.text)], []


def shorten(text: str | None) -> str | None:
    """Write types as the source does: `ArrayLike | None`, `NDArray[float32]`."""
    if text is None:
        return None
    text = re.sub(r"TypeAliasForwardRef\('(\w+)'\)", r"\1", text)
    array = r"(?:[\w~]+\.)*ndarray\[tuple\[[\w~.]*Any, \.\.\.\], (?:[\w~]+\.)*dtype\[([^][]+)\]\]"
    return re.sub(array, r"NDArray[\1]", text)


def setup(app: Sphinx) -> None:
    """Add the role; docstrings use it for whatever is in single backticks."""
    app.add_role("code_or_name", CodeOrName())
    app.connect(
        "autodoc-process-signature",
        lambda _app, _what, _name, _obj, _options, signature, returns: (
            shorten(signature),
            shorten(returns),
        ),
    )
