"""English texts of a report."""

from typing import Final

from tds_clinical.reports.language.language import Language
from tds_clinical.reports.language.words import Words
from tds_data.report import RESEARCH_USE_NOTICE

ENGLISH: Final = Language(
    code="en",
    tag="en-GB",
    decimal_mark=".",
    words=Words(
        notice=RESEARCH_USE_NOTICE,
        phantom_notice="PHANTOM: this study is synthetic. Nothing in this report comes from a patient.",
        phantom_badge="PHANTOM (synthetic)",
        phantom_mark="PHANTOM",
        title="Tumour segmentation: {case}",
        phantom_title="Phantom (synthetic): {title}",
        kind="Brain tumour segmentation on MRI, made by a program",
        made_at="Made at",
        page_of="Page {page} of {pages}",
        schema="Result schema {version}.",
        none="none",
        english_only="Messages of the checks, of the criteria and of the model are in English.",
        nothing_found="No tumour found by the model; this does not exclude one.",
        one_found="1 lesion found by the model: {volumes}.",
        many_found="{count} lesions found by the model: {volumes}.",
        of_which=", of which ",
        one_lesion="1 lesion",
        many_lesions="{count} lesions",
        whole_tumour="whole tumour",
        tumour_core="tumour core",
        enhancing_tumour="enhancing tumour",
        necrotic_core="necrotic core",
        oedema="oedema",
        enhancing_label="enhancing tumour",
        axial="Axial",
        coronal="Coronal",
        sagittal="Sagittal",
        quality="Quality of the study",
        error="error",
        warning="warning",
        info="info",
        seen="(seen: {value})",
        volumes="Volumes of the whole study",
        lesions="Lesions",
        lesion="Lesion",
        lesion_number="Lesion {number}",
        lesion_of="Lesion {number} of {count}",
        region="Region",
        region_volume_ml="{region}, mL",
        volume_ml="Volume, mL",
        longest_in_3d_mm="Longest diameter in 3D, mm",
        longest_in_3d_short="longest diameter {length} mm",
        longest_mm="Longest diameter, mm",
        perpendicular_mm="Perpendicular, mm",
        product_mm2="Product, mm²",
        centre_mm="Centre (x, y, z), mm",
        box_mm="Bounding box (x, y, z), mm",
        from_to="{start} to {end}",
        volume_with_interval="{volume} ({low} to {high})",
        interval_note="In brackets: the interval of each volume. How the intervals were made: {method}",
        lesion_note=(
            "A lesion is one connected part of the whole tumour; the largest is number 1. The regions are nested: WT "
            "contains TC, TC contains ET. The diameter of this table is measured in three dimensions, between the "
            "centres of voxels. Places are in the scanner's RAS frame: x grows to the patient's right, y to the "
            "front, z to the top of the head."
        ),
        diameter_note=(
            "Longest diameter: the longest line across the region within one slice, from edge to edge. "
            "Perpendicular: the longest line at right angles to it in the same slice."
        ),
        pictures="Pictures",
        picture_note=(
            "Radiological convention: the patient's right is on the left of axial and coronal pictures. R, L, A, P, S "
            "and I mark right, left, anterior, posterior, superior and inferior. Short ticks at the edges show where "
            "the other two planes cross; planes are those of the scan."
        ),
        grey_levels="Grey levels run from the 0.5th to the 99.5th percentile of each sequence.",
        right_is_left="Patient's right is on the left",
        largest_in_full=(
            "The {shown} largest of {count} lesions are shown on every sequence, the others on the one that shows the "
            "whole tumour best."
        ),
        middle_of_head="Middle of the head",
        picture_alt="{sequence}: axial, coronal and sagittal planes through {place}",
        at_lesion="lesion {number} at x, y, z = {place} mm",
        at_middle="the middle of the head",
        plain="without labels",
        contour="contours",
        fill="filled",
        contour_alt="{picture}, with the contours of the segmentation",
        fill_alt="{picture}, with the segmentation filled in",
        labels="Labels",
        show="Show",
        show_plain_and_contour="without labels, and contours",
        show_contour_and_fill="contours, and filled",
        show_large="{what}, large",
        change_since="Change since {label}",
        course="Course over all time points",
        course_alt="Volumes of the regions at each time point; the table beside it has the numbers",
        time_point="Time point",
        date="Date",
        count="Lesions",
        lesions_before="Before",
        lesions_after="Now",
        became="What became of it",
        matched="still there",
        new="new",
        gone="gone",
        split="split",
        merged="merged",
        region_change_ml="{region}, mL",
        before_after="{before}; now {after}",
        is_certain="Larger than the intervals?",
        certain="yes",
        uncertain="no: uncertain",
        change_note=(
            "Each volume is given at the earlier time point and now. "
            "A change is uncertain where that of the whole tumour is no larger than the intervals of the two volumes."
        ),
        assessment="{criteria}: {category}",
        complete_response="CR, complete response",
        partial_response="PR, partial response",
        stable_disease="SD, stable disease",
        progressive_disease="PD, progressive disease",
        not_evaluable="NE, not evaluable",
        uncertain_category="uncertain",
        sums="Sum at each time point: {sums} {unit}",
        sum_with_interval="{sum} ({low} to {high})",
        possible="{category}: {possible}",
        either_or=" or ",
        images_alone=(
            "Categories are computed from images alone. They do not know symptoms, steroids, treatment or a later "
            "confirmation, and they replace no reading by a radiologist."
        ),
        agreement="Agreement with the reference mask",
        phantom_agreement=(
            "Measured on a phantom against the truth that it was drawn from. It says nothing about patients."
        ),
        dice="Dice",
        phantom_dice="Dice (phantom)",
        making="How this was made",
        sequences_used="Sequences used",
        sequences_missing="Sequences missing",
        model="Model",
        model_version="{name}, version {version}",
        architecture="Architecture",
        licence="Licence of the weights",
        model_hash="Model hash",
        full_hash="Full SHA-256",
        time_taken="Time taken",
        model_card="The model in two lines",
    ),
)
"""English."""
