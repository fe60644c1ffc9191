from models.serving.reasons import top_reasons
from streams.contracts.feature_names import ROW_NAMES


def test_the_strongest_come_first_each_with_its_number() -> None:
    row = [0.0] * len(ROW_NAMES)
    parts = [0.0] * len(ROW_NAMES)
    for name, value, part in (("days_past_due", 45, 0.3), ("arrears_to_emi", 1.5, 0.1), ("payments_90_days", 2, -0.2)):
        row[ROW_NAMES.index(name)], parts[ROW_NAMES.index(name)] = value, part
    raised = top_reasons(row, parts, risk_fell=False)
    assert [reason.text for reason in raised] == ["45 days past due", "arrears of 1.5 instalments"]
    assert [reason.feature for reason in top_reasons(row, parts, risk_fell=True)] == ["payments_90_days"]


def test_no_field_of_the_profile_is_told() -> None:
    told = top_reasons([1234.5] * len(ROW_NAMES), [0.1] * len(ROW_NAMES), risk_fell=False, most=len(ROW_NAMES))
    assert {"salaried", "self_employed", "monthly_income"} == set(ROW_NAMES) - {reason.feature for reason in told}
