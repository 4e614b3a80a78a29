"""Splits training sets and folders of images, and checks what is loaded."""

from .building import build_dataset
from .checked import CheckedDataset, checked_dataset
from .folder_dataset import FolderDataset
from .folder_listing import FolderListing, list_folder
from .held_out import held_out_split
from .image_check import CheckedImages, check_images
from .shared_lists import SharedLists
from .splitting import FolderSplit, split_folder
from .transforms import (
    AntialiasedResizedCrop,
    DeferredColorJitter,
    DeferredFlip,
    DeferredLighting,
    PackDeferred,
)

__all__ = [
    'AntialiasedResizedCrop', 'DeferredColorJitter', 'DeferredFlip',
    'DeferredLighting', 'PackDeferred', 'CheckedDataset', 'CheckedImages',
    'FolderDataset', 'FolderListing', 'FolderSplit', 'SharedLists',
    'build_dataset', 'check_images', 'checked_dataset', 'held_out_split',
    'list_folder', 'split_folder'
]
