"""Reading and checking configs, and building what they describe."""

from .building import (
    build_runner,
    building_part,
    calibration_images,
    config_resources,
)
from .data_files import check_data
from .data_filling import (
    fill_from_data,
    folder_datasets,
    listed_images,
    needs_data,
)
from .detectors import check_detector, feature_channels
from .reading import load_config
from .sections import (
    TESTING,
    TRAINING,
    VALIDATION,
    check_dict,
    check_sections,
    import_modules,
    name_of,
    need_fields,
)
from .values import LARGEST, check_values

__all__ = [
    'LARGEST', 'TESTING', 'TRAINING', 'VALIDATION', 'build_runner',
    'building_part', 'calibration_images', 'check_data', 'check_detector',
    'check_dict', 'check_sections', 'check_values', 'config_resources',
    'feature_channels', 'fill_from_data', 'folder_datasets', 'import_modules',
    'listed_images', 'load_config', 'name_of', 'need_fields', 'needs_data'
]
