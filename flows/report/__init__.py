"""report.html: one self-contained page that shows what a build took in, kept, dropped and published."""

from .page import ReportData, render_report

__all__ = ["ReportData", "render_report"]
