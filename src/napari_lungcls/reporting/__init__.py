"""Reports: a folder with a page, figures and tables about a training or an evaluation."""

from napari_lungcls.reporting.page_folder import check_report_folder
from napari_lungcls.reporting.pictures import downsample_picture, label_picture
from napari_lungcls.reporting.report import Report, ReportPicture, write_report

__all__ = [
    "Report",
    "ReportPicture",
    "check_report_folder",
    "downsample_picture",
    "label_picture",
    "write_report",
]
