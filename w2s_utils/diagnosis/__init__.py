"""Will this teacher help this student? Measured dimensions in, predicted errors with bands out."""

from w2s_utils.diagnosis.classification import Classification
from w2s_utils.diagnosis.diagnose import Diagnosis, diagnose
from w2s_utils.diagnosis.diagnose_shift import ShiftDiagnosis, diagnose_shift, split_sets
from w2s_utils.diagnosis.forecast import Forecast
from w2s_utils.diagnosis.meter import Meter, class_gain_from_misfit, gain_from_misfit
from w2s_utils.diagnosis.predicted import Predicted
from w2s_utils.diagnosis.prediction import Band
from w2s_utils.diagnosis.ranking import Ranking, rank_pools, rank_teachers
from w2s_utils.diagnosis.ranking_report import RankingReport
from w2s_utils.diagnosis.report import Report
from w2s_utils.diagnosis.routes import Routes, rank_routes
from w2s_utils.diagnosis.routes_report import RoutesReport
from w2s_utils.diagnosis.routes_verification import verify_routes
from w2s_utils.diagnosis.rows import FeatureSet
from w2s_utils.diagnosis.shift_report import ShiftReport
from w2s_utils.diagnosis.study import Study, study
from w2s_utils.diagnosis.study_report import StudyReport
from w2s_utils.diagnosis.tuned import predict_tuned
from w2s_utils.diagnosis.verdict import Verdict
from w2s_utils.diagnosis.verification import verify

__all__ = [
    "Band", "Classification", "Diagnosis", "FeatureSet", "Forecast", "Meter", "Predicted",
    "Ranking", "RankingReport", "Report", "Routes", "RoutesReport", "ShiftDiagnosis",
    "ShiftReport", "Study", "StudyReport", "Verdict", "class_gain_from_misfit", "diagnose",
    "diagnose_shift", "gain_from_misfit", "predict_tuned", "rank_pools", "rank_routes",
    "rank_teachers", "split_sets", "study", "verify", "verify_routes",
]  # fmt: skip
