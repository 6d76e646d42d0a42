"""HTML to PDF by WeasyPrint, which is optional: tagged for readers of screens (PDF/UA-1, ISO 14289-1), and the same
bytes for the same page."""

from __future__ import annotations

import hashlib
import io
import logging

from probe.model.errors import ColibriError

MEND = "pip install 'colibri-probe[dossier]', and Pango: deploy/install.sh"


class NoPdf(ColibriError):  # noqa: N818 - named after what happened, as all of ours
    """WeasyPrint, or a library that it draws with, is not there."""


def pdf(html: str) -> bytes:
    """The PDF of a page that stands alone; nothing is fetched from anywhere. Raises NoPdf."""
    try:
        import weasyprint
        from weasyprint.urls import URLFetcher
    except (ImportError, OSError) as error:  # OSError: Pango's libraries
        raise NoPdf(f"no PDF is made: {str(error).splitlines()[0]} ({MEND})") from error
    logging.getLogger("weasyprint").setLevel(logging.ERROR)
    # Times inside come from the page (dcterms.created); the identifier would be chance.
    identifier = hashlib.sha256(html.encode()).digest()[:16]
    out = io.BytesIO()
    page = weasyprint.HTML(string=html, url_fetcher=URLFetcher(allowed_protocols=("data",)))
    page.write_pdf(out, pdf_identifier=identifier, pdf_variant="pdf/ua-1")
    return out.getvalue()
