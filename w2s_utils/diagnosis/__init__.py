"""Will this teacher help this student? Measured dimensions in, predicted errors with bands out."""

from w2s_utils.diagnosis.diagnose import Diagnosis, diagnose
from w2s_utils.diagnosis.forecast import Forecast
from w2s_utils.diagnosis.prediction import Band
from w2s_utils.diagnosis.ranking import Ranking, rank_teachers
from w2s_utils.diagnosis.report import RankingReport, Report
from w2s_utils.diagnosis.rows import FeatureSet
from w2s_utils.diagnosis.tuned import predict_tuned
from w2s_utils.diagnosis.verdict import Verdict
from w2s_utils.diagnosis.verification import verify

__all__ = [
    "Band", "Diagnosis", "FeatureSet", "Forecast", "Ranking", "RankingReport", "Report", "Verdict",
    "diagnose", "predict_tuned", "rank_teachers", "verify",
]  # fmt: skip
