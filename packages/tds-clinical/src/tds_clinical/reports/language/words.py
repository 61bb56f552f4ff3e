"""The texts of a report, in one language each."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """Every text that a report writes by itself; the English ones in `en.py` say what each is for.

    Texts in braces are filled in. All languages have the same ones.
    """

    # What every document carries.
    notice: str
    phantom_notice: str
    phantom_badge: str
    phantom_mark: str
    title: str
    phantom_title: str
    kind: str
    made_at: str
    page_of: str
    schema: str
    none: str
    english_only: str

    # The result in a sentence.
    nothing_found: str
    one_found: str
    many_found: str
    of_which: str
    one_lesion: str
    many_lesions: str

    # Regions, labels and planes.
    whole_tumour: str
    tumour_core: str
    enhancing_tumour: str
    necrotic_core: str
    oedema: str
    enhancing_label: str
    axial: str
    coronal: str
    sagittal: str

    # Quality of the study.
    quality: str
    error: str
    warning: str
    info: str
    seen: str

    # Lesions and their measures.
    volumes: str
    lesions: str
    lesion: str
    lesion_number: str
    lesion_of: str
    region: str
    region_volume_ml: str
    volume_ml: str
    longest_in_3d_mm: str
    longest_in_3d_short: str
    longest_mm: str
    perpendicular_mm: str
    product_mm2: str
    centre_mm: str
    box_mm: str
    from_to: str
    volume_with_interval: str
    interval_note: str
    lesion_note: str
    diameter_note: str

    # Pictures.
    pictures: str
    picture_note: str
    grey_levels: str
    right_is_left: str
    largest_in_full: str
    middle_of_head: str
    picture_alt: str
    at_lesion: str
    at_middle: str
    plain: str
    contour: str
    fill: str
    contour_alt: str
    fill_alt: str
    labels: str
    show: str
    show_plain_and_contour: str
    show_contour_and_fill: str
    show_large: str

    # What changed.
    change_since: str
    course: str
    course_alt: str
    time_point: str
    date: str
    count: str
    lesions_before: str
    lesions_after: str
    became: str
    matched: str
    new: str
    gone: str
    split: str
    merged: str
    region_change_ml: str
    before_after: str
    is_certain: str
    certain: str
    uncertain: str
    change_note: str
    assessment: str
    complete_response: str
    partial_response: str
    stable_disease: str
    progressive_disease: str
    not_evaluable: str
    uncertain_category: str
    sums: str
    sum_with_interval: str
    possible: str
    either_or: str
    images_alone: str

    # Agreement with a reference mask.
    agreement: str
    phantom_agreement: str
    dice: str
    phantom_dice: str

    # How it was made.
    making: str
    sequences_used: str
    sequences_missing: str
    model: str
    model_version: str
    architecture: str
    licence: str
    model_hash: str
    full_hash: str
    time_taken: str
    model_card: str
