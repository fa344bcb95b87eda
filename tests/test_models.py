import keras
import numpy as np
import pytest
import tensorflow as tf

from tests.conftest import small_network, some_inputs
from xai_utils import models
from xai_utils.networks.architectures import vgg7


def _convolutions():
    return [
        keras.layers.Conv1D(3, 3, activation="relu", name="first"),
        keras.layers.Conv1D(4, 3, padding="same", name="last"),
        keras.layers.BatchNormalization(name="normalized"),
        keras.layers.ReLU(name="activated"),
    ]


def _functional(end):
    x = inputs = keras.Input((40, 1))
    for layer in [*_convolutions(), keras.layers.Flatten(), *end]:
        x = layer(x)
    return keras.Model(inputs, x)


def _sequential(end):
    return keras.Sequential([keras.Input((40, 1)), *_convolutions(), keras.layers.Flatten(), *end])


def _nested(end):
    """A Functional model that holds a Sequential model, which holds the convolutions."""
    inputs = keras.Input((40, 1))
    body = keras.Sequential([keras.Input((40, 1)), *_convolutions()], name="body")
    head = keras.Sequential([keras.layers.Flatten(), *end], name="head")
    return keras.Model(inputs, head(body(inputs)))


def _nested_functional(end):
    """The same with Functional models for the parts."""
    inputs = keras.Input((40, 1))
    features = _functional_of(_convolutions(), (40, 1))(inputs)
    head = _functional_of([keras.layers.Flatten(), *end], features.shape[1:])
    return keras.Model(inputs, head(features))


def _functional_of(parts, shape):
    x = inputs = keras.Input(shape)
    for layer in parts:
        x = layer(x)
    return keras.Model(inputs, x)


def _residual(end):
    """A way around all convolutions but the first, joined again before the last."""
    inputs = keras.Input((40, 1))
    first, *middle, activated = _convolutions()
    x = start = first(inputs)
    for layer in middle:
        x = layer(x)
    x = activated(keras.layers.Concatenate(name="joined")([x, start]))
    x = keras.layers.Flatten()(x)
    for layer in end:
        x = layer(x)
    return keras.Model(inputs, x)


ENDS = {
    "softmax in the layer": lambda: [keras.layers.Dense(3, activation="softmax")],
    "softmax layer": lambda: [keras.layers.Dense(3), keras.layers.Softmax()],
    "activation layer": lambda: [keras.layers.Dense(3), keras.layers.Activation("softmax")],
    "linear in float32 behind": lambda: [
        keras.layers.Dense(3, activation="softmax"),
        keras.layers.Activation("linear", dtype="float32"),
    ],
    "cast and dropped out behind": lambda: [
        keras.layers.Dense(3),
        keras.layers.Activation(keras.activations.softmax),
        keras.layers.Dropout(0.5),
        keras.layers.Identity(),
    ],
    "without bias": lambda: [keras.layers.Dense(3, activation="softmax", use_bias=False)],
}
BUILDERS = {
    build.__name__: build
    for build in (_functional, _sequential, _nested, _nested_functional, _residual)
}


@pytest.fixture(params=["built", ".keras", ".h5"])
def reloaded(request, tmp_path):
    """What a user may have done to a model before handing it over."""
    if request.param == "built":
        return lambda model: model

    def reload(model):
        model.save(tmp_path / f"model{request.param}")
        return keras.models.load_model(tmp_path / f"model{request.param}")

    return reload


@pytest.mark.parametrize("end", ENDS)
@pytest.mark.parametrize("kind", BUILDERS)
def test_scores_features_and_head_of_any_classifier(kind, end, reloaded):
    model, x = reloaded(BUILDERS[kind](ENDS[end]())), some_inputs(1)
    expected = model.predict(x, verbose=0)
    logits, features = models.feature_model(model, layer="activated")(x)
    probabilities = models.score_model(model, "probability")(x)
    np.testing.assert_allclose(keras.ops.softmax(logits), expected, atol=1e-6)
    np.testing.assert_allclose(probabilities, expected, atol=1e-6)
    head = models.head_model(model, layer="activated")
    np.testing.assert_allclose(head(features), logits, atol=1e-5)
    np.testing.assert_array_equal(model.predict(x, verbose=0), expected)


@pytest.mark.parametrize("kind", ["_functional", "_sequential", "_nested", "_nested_functional"])
def test_the_default_layer_is_the_last_convolution_with_its_activation(kind):
    model, x = BUILDERS[kind](ENDS["softmax layer"]()), some_inputs(1)
    _, features = models.feature_model(model)(x)
    _, activated = models.feature_model(model, layer="activated")(x)
    np.testing.assert_array_equal(features, activated)


@pytest.mark.parametrize("kind", BUILDERS)
def test_a_model_without_softmax_gives_logits_and_their_softmax(kind):
    model, x = BUILDERS[kind]([keras.layers.Dense(3)]), some_inputs(1)
    logits = models.score_model(model)(x)
    probabilities = models.score_model(model, "probability")(x)
    np.testing.assert_allclose(logits, model.predict(x, verbose=0), atol=1e-6)
    np.testing.assert_allclose(np.sum(probabilities, axis=1), 1, atol=1e-6)


@pytest.mark.parametrize("kind", BUILDERS)
def test_features_are_those_of_the_named_layer(kind):
    model, x = BUILDERS[kind](ENDS["softmax layer"]()), some_inputs(1)
    scores, features = models.feature_model(model, layer="first")(x)
    [first] = [made.layer for made in models._calls(model, keras.Input((40, 1)))[:1]]
    np.testing.assert_array_equal(features, first(x))
    head = models.head_model(model, layer="first")
    np.testing.assert_allclose(head(features), scores, atol=1e-5)


def test_no_head_where_a_way_leads_around_the_layer():
    model = _residual(ENDS["softmax layer"]())
    with pytest.raises(ValueError, match="do not depend on last alone"):
        models.head_model(model, layer="last")


def test_models_that_cannot_be_taken_apart_are_refused():
    class Subclassed(keras.Model):
        def call(self, x):
            return x

    model = Subclassed()
    model.inputs = [keras.Input((40, 1))]
    with pytest.raises(ValueError, match="cannot be taken apart"):
        models.score_model(model)


@pytest.mark.parametrize("kind", BUILDERS)
def test_a_compiled_model_is_no_other_model(kind):
    """Keras would compile a copy again, which fails for what it cannot name."""

    def nameless_loss(y, predicted):
        return keras.ops.mean(keras.ops.square(y - predicted))

    model, x = BUILDERS[kind](ENDS["softmax layer"]()), some_inputs(1)
    for part in [model, *model.layers]:
        if isinstance(part, keras.Model):
            part.compile(optimizer="adam", loss=nameless_loss)
    expected = model.predict_on_batch(x)
    scores = models.score_model(model, "probability").predict_on_batch(x)
    np.testing.assert_allclose(scores, expected, atol=1e-6)


@pytest.mark.parametrize("wrap", [lambda x: [x], lambda x: {"signal": x}])
def test_the_one_input_and_output_may_stand_in_a_list_or_dict(wrap):
    plain, x = small_network(1), some_inputs(1)
    model = keras.Model(wrap(plain.inputs[0]), [plain.outputs[0]])
    scores = models.score_model(model, "probability").predict_on_batch(x)
    np.testing.assert_allclose(scores, plain.predict_on_batch(x), atol=1e-6)


def test_scores_are_those_of_inference_and_change_no_weight():
    """Noise, dropout, and a normalization that was told to learn from every batch."""
    inputs = keras.Input((40, 1))
    x = keras.layers.GaussianNoise(1.0)(keras.layers.Rescaling(0.5)(inputs))
    x = keras.layers.Conv1D(4, 3)(x)
    x = keras.layers.BatchNormalization()(x, training=True)
    x = keras.layers.Flatten()(keras.layers.Dropout(0.5)(x, training=True))
    model, x = keras.Model(inputs, keras.layers.Dense(3)(x)), some_inputs(1)
    before, scores = model.get_weights(), models.score_model(model)
    first, again = (scores(x, training=False).numpy() for _ in range(2))
    assert np.array_equal(first, again)
    assert all(map(np.array_equal, before, model.get_weights()))


def test_whole_numbers_are_taken_as_floats():
    inputs = keras.Input((40, 1), dtype="uint8")
    x = keras.layers.Flatten()(keras.layers.Rescaling(0.1)(inputs))
    scores = models.score_model(keras.Model(inputs, keras.layers.Dense(3)(x)))
    low, middle, high = (scores(np.full((1, 40, 1), value, "float32")) for value in (1, 1.5, 2))
    np.testing.assert_allclose(middle, (low + high) / 2, rtol=1e-5)


def test_the_log_odds_are_those_of_the_probability_and_keep_their_slope_at_1():
    model, x = small_network(1), some_inputs(1)
    p = models.score_model(model, "probability")(x).numpy()
    np.testing.assert_allclose(
        models.score_model(model, "log_odds")(x), np.log(p / (1 - p)), rtol=1e-4, atol=1e-4
    )
    model.layers[-1].set_weights([1000 * weight for weight in model.layers[-1].get_weights()])
    sure = models.score_model(model, "log_odds")(x).numpy()
    assert np.isfinite(sure).all() and sure.max() > 20


@pytest.mark.parametrize("dtype", ["mixed_bfloat16", "mixed_float16"])
def test_scores_of_low_precision_are_floats(dtype):
    scores = models.score_model(vgg7(average=1, normalize=False, dtype=dtype))
    assert scores(some_inputs(2)).dtype == "float32"


def test_a_pass_takes_fewer_of_what_is_larger():
    model = vgg7(average=1, normalize=False)  # its largest output has 32 channels of four bytes
    assert models.passes_at_once(model, (64, 64, 3)) == models.CACHE // (64 * 64 * 32 * 4)
    assert models.passes_at_once(model, (8, 8, 3)) == 1024
    assert models.passes_at_once(model, (4096, 4096, 3)) == 1


def joined(order):
    """Two convolutions, of which the sum of the first with the first or the second is read."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((40, 1))
    made = [keras.layers.Conv1D(2, 3)(inputs) for _ in range(2)]
    both = keras.layers.Flatten()(keras.layers.Concatenate()(made))
    chosen = keras.layers.Flatten()(keras.layers.Add()([made[index] for index in order]))
    return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Concatenate()([both, chosen])))


@pytest.mark.parametrize("kind", ["functional", "sequential", "nested"])
def test_the_same_model_built_anew_has_the_same_fingerprint(kind):
    """Keras numbers the layers of the second one on from those of the first."""
    first, again = small_network(1, kind), small_network(1, kind)
    assert [layer.name for layer in first.layers] != [layer.name for layer in again.layers]
    assert models.fingerprint(first) == models.fingerprint(again)


@pytest.mark.parametrize("kind", ["functional", "sequential", "nested"])
def test_other_weights_or_another_end_have_another_fingerprint(kind):
    model = small_network(1, kind)
    weights = model.get_weights()
    weights[0][0, 0, 0] = np.nextafter(weights[0][0, 0, 0], np.float32(9))
    changed = small_network(1, kind)
    changed.set_weights(weights)
    without_softmax = small_network(1, kind, softmax=False)
    assert len({models.fingerprint(one) for one in (model, changed, without_softmax)}) == 3


def test_the_same_layers_and_weights_otherwise_connected_have_another_fingerprint():
    first, other, again = (joined(order) for order in ([0, 0], [0, 1], [0, 1]))
    x = some_inputs(1)
    assert not np.allclose(first.predict_on_batch(x), other.predict_on_batch(x))
    assert all(map(np.array_equal, first.get_weights(), other.get_weights()))
    assert models.fingerprint(first) != models.fingerprint(other) == models.fingerprint(again)


def test_a_normalization_counts_as_it_computes():
    """Set weights reach what Keras' layer computes with only when its state is finalized."""
    model, x = vgg7(), some_inputs(2)
    model.get_layer("normalization").adapt(x)
    before, answers = models.fingerprint(model), model.predict_on_batch(x)
    weights = model.get_weights()
    weights[0] = weights[0] + 1
    model.set_weights(weights)
    assert np.array_equal(model.predict_on_batch(x), answers)
    set_only = models.fingerprint(model)
    model.get_layer("normalization").finalize_state()
    model.make_predict_function(force=True)
    assert not np.allclose(model.predict_on_batch(x), answers)
    assert len({before, set_only, models.fingerprint(model)}) == 3


def test_unknown_layers_and_scores_are_named():
    with pytest.raises(ValueError, match="no layer 'conv9'; it has .*conv"):
        models.feature_model(small_network(1), layer="conv9")
    with pytest.raises(ValueError, match="'logit', 'probability' or 'log_odds'"):
        models.score_model(small_network(1), score="softmax")


def test_a_layer_name_that_stands_twice_is_refused():
    body = keras.Sequential([keras.Input((40, 1)), keras.layers.Conv1D(2, 3, name="last")])
    model = keras.Sequential([keras.Input((40, 1)), body, keras.layers.Conv1D(2, 3, name="last")])
    with pytest.raises(ValueError, match="several layers 'last'"):
        models.feature_model(model, layer="last")


def test_a_model_without_convolution_has_scores_and_features_of_named_layers():
    flat = keras.layers.Flatten(name="flat")
    model = keras.Sequential([keras.Input((40, 1)), flat, keras.layers.Dense(3)])
    assert models.score_model(model).output_shape == (None, 3)
    assert models.feature_model(model, layer="flat").output_shape[1] == (None, 40)
    with pytest.raises(ValueError, match="has no map of features .*: no layer makes one"):
        models.feature_model(model)


@pytest.mark.parametrize(
    "end, message",
    [
        (keras.layers.Dense(3, activation="tanh"), "activation tanh"),
        (keras.layers.Dense(1, activation="softmax"), "softmax of one output"),
        (keras.layers.Conv1D(3, 3, activation="softmax"), "must be one score a class"),
        (keras.layers.SimpleRNN(3, activation="softmax"), "logits of .* cannot be read"),
    ],
)
def test_another_end_is_refused(end, message):
    body = [keras.layers.Conv1D(2, 3)]
    body += [keras.layers.Flatten()] if isinstance(end, keras.layers.Dense) else []
    model = keras.Sequential([keras.Input((40, 1)), *body, end])
    with pytest.raises(ValueError, match=message):
        models.score_model(model)


def ending(end):
    """A network whose feature maps are averaged, and what ``end`` makes of three numbers of these."""
    keras.utils.set_random_seed(4)
    x = inputs = keras.Input((40, 1))
    x = keras.layers.GlobalAveragePooling1D()(keras.layers.Conv1D(4, 3, activation="relu")(x))
    return keras.Model(inputs, end(x))


@pytest.mark.parametrize(
    "softmax",
    [
        lambda x: keras.ops.softmax(x),
        lambda x: keras.layers.Activation(tf.nn.softmax)(x),
        lambda x: keras.ops.cast(keras.ops.softmax(x), "float32"),
        lambda x: keras.activations.softmax(x),
        lambda x: keras.layers.Activation("linear", dtype="float32")(keras.layers.Softmax()(x)),
    ],
)
def test_a_softmax_that_is_an_operation_or_not_the_last_call_is_found(softmax):
    model, x = ending(lambda means: softmax(keras.layers.Dense(3)(means))), some_inputs(1)
    expected = model(x)
    np.testing.assert_allclose(models.score_model(model, "probability")(x), expected, atol=1e-6)
    logits = models.score_model(model)(x).numpy()
    np.testing.assert_allclose(keras.ops.softmax(logits), expected, atol=1e-6)
    assert not np.allclose(logits.sum(axis=1), 1)
    assert models.class_activation_layers(model)[1].units == 3
    assert models.dense_head(model) is not None


@pytest.mark.parametrize("units", [1, 3])
@pytest.mark.parametrize(
    "sigmoid",
    [
        lambda units: lambda x: keras.layers.Dense(units, activation="sigmoid")(x),
        lambda units: lambda x: keras.layers.Activation("sigmoid")(keras.layers.Dense(units)(x)),
        lambda units: lambda x: keras.ops.sigmoid(keras.layers.Dense(units)(x)),
    ],
)
def test_behind_a_sigmoid_every_output_has_a_probability_of_its_own(sigmoid, units):
    model, x = ending(sigmoid(units)), some_inputs(1)
    p = model(x).numpy()
    np.testing.assert_allclose(models.score_model(model, "probability")(x), p, atol=1e-6)
    for score in ("logit", "log_odds"):
        np.testing.assert_allclose(models.score_model(model, score)(x), np.log(p / (1 - p)), atol=1e-4)


def test_one_output_is_the_logit_of_the_second_of_two_classes():
    """The same network with two logits, of which the first is 0, gives the same probability."""
    model, x = ending(keras.layers.Dense(1)), some_inputs(1)
    kernel, bias = model.layers[-1].get_weights()
    both = ending(keras.layers.Dense(2))
    two = [np.pad(kernel, ((0, 0), (1, 0))), np.pad(bias, (1, 0))]
    both.set_weights([*model.get_weights()[:-2], *two])
    for score in ("probability", "log_odds"):
        one_score, scores = (models.score_model(m, score)(x).numpy() for m in (model, both))
        np.testing.assert_allclose(one_score[:, 0], scores[:, 1], atol=1e-5)
    assert np.ptp(models.score_model(model, "probability")(x)) > 0


@pytest.mark.parametrize(
    "end",
    [
        lambda x: keras.layers.Lambda(lambda z: tf.nn.softmax(z))(keras.layers.Dense(3)(x)),
        lambda x: keras.layers.Rescaling(0.5)(keras.layers.Dense(3, activation="softmax")(x)),
        lambda x: 1 - keras.layers.Dense(1, activation="sigmoid")(x),
    ],
)
@pytest.mark.parametrize("ask", [models.score_model, models.feature_model, models.head_model])
def test_what_looks_like_probabilities_is_not_taken_for_logits(end, ask):
    with pytest.raises(ValueError, match="looks like probabilities"):
        ask(ending(end))


def branches(join, end=()):
    """Two convolutions beside each other, joined."""
    x = inputs = keras.Input((16, 16, 3))
    made = [keras.layers.Conv2D(2, 3, activation="relu", name=name)(x) for name in ("left", "right")]
    x = join(made)
    for layer in end:
        x = layer(x)
    return keras.Model(inputs, keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(x)))


def test_the_default_layer_is_behind_the_joint_and_its_activation():
    end = [keras.layers.ReLU(name="after"), keras.layers.MaxPooling2D(), keras.layers.Dropout(0.5)]
    model = branches(keras.layers.Add(name="sum"), end)
    x = some_inputs(2)
    _, features = models.feature_model(model)(x, training=False)
    _, expected = models.feature_model(model, layer="after")(x, training=False)
    assert np.array_equal(features, expected) and features.shape[1] == 14
    by_operation = branches(lambda made: keras.ops.relu(made[0] - made[1]))
    _, features = models.feature_model(by_operation)(x, training=False)
    assert features.shape[1:] == (14, 14, 2) and np.min(features) == 0


def test_where_everything_passes_through_no_map_the_layers_to_choose_from_are_named():
    x = inputs = keras.Input((16, 16, 3))
    made = [keras.layers.Conv2D(2, 3, name=name)(x) for name in ("left", "right")]
    pooled = [keras.layers.GlobalMaxPooling2D()(one) for one in made]
    model = keras.Model(inputs, keras.layers.Dense(3)(keras.layers.Concatenate()(pooled)))
    with pytest.raises(ValueError, match="everything passes through: name .* one of left, right"):
        models.feature_model(model)


def test_a_map_of_one_point_and_what_comes_before_the_first_kernel_are_no_default():
    inputs = keras.Input((16, 16, 3))
    x = keras.layers.Rescaling(2.0)(inputs)
    conv = keras.layers.Conv2D(4, 3, name="conv")(x)
    x = keras.layers.GlobalAveragePooling2D(keepdims=True)(conv)
    x = keras.layers.Flatten()(keras.layers.Conv2D(3, 1, name="classes")(x))
    _, features = models.feature_model(keras.Model(inputs, x))(some_inputs(2))
    assert features.shape[1:] == (14, 14, 4)


def test_a_layer_that_is_used_twice_is_the_default_where_it_stands_last():
    """The map behind the second use: twice through the same convolution."""
    shared = keras.layers.Conv2D(3, 3, padding="same", activation="relu")
    inputs = keras.Input((16, 16, 3))
    twice = shared(shared(inputs))
    x = keras.layers.Dense(3)(keras.layers.GlobalAveragePooling2D()(twice))
    model, given = keras.Model(inputs, x), some_inputs(2)
    _, features = models.feature_model(model)(given)
    np.testing.assert_allclose(features, keras.Model(inputs, twice)(given), atol=1e-6)


@pytest.mark.parametrize("before", [lambda x: 2 * x - 1, keras.layers.Rescaling(2.0, -1.0)])
def test_a_functional_model_may_stand_behind_operations(before):
    """As a network does behind its preprocessing."""
    inner, inputs = small_network(2), keras.Input((16, 16, 3))
    model, x = keras.Model(inputs, inner(before(inputs))), some_inputs(2)
    expected = inner(2 * x - 1)
    np.testing.assert_allclose(models.score_model(model, "probability")(x), expected, atol=1e-6)
    _, features = models.feature_model(model)(x)
    _, own = models.feature_model(inner)(2 * x - 1)
    np.testing.assert_allclose(features, own, atol=1e-5)
