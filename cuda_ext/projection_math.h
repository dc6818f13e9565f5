// EWA projection of one Gaussian and its gradient, written once for float (CUDA, scalar) and for SIMD vectors.
//
// Zwicker et al., "EWA Splatting" (2002), as used by Kerbl et al., "3D Gaussian Splatting" (2023): the covariance
// M M^T with M = R(q) diag(s) is carried to the image by U = J W M, so that cov2d = U U^T + 0.3 I. Working with U, not
// with the covariance, keeps the determinant exact for needles (Lagrange's identity) and the gradient short.
// `antialiased` multiplies the opacity by sqrt(det(U U^T) / det(cov2d)) (Yu et al., "Mip-Splatting", 2024).
#pragma once

#include "host_device.h"
#ifndef ENDOGS_ISA
#include "scalar.h"
#endif

namespace endogs {

constexpr float kLowPass = 0.3f;  // px^2, the variance of the low-pass filter of 3DGS

struct CameraView {
    float rotation[9];  // world to camera, row-major
    float translation[3];
    float fx, fy, cx, cy;
    float width, height;
    float near;
    bool antialiased;
};

}  // namespace endogs

namespace ENDOGS_MATH {

// Everything the backward pass wants again; it is recomputed there, which costs less than storing it.
template <class F>
struct Projected {
    F rotation[9];  // of the Gaussian, row-major
    F quat[4], inverse_norm;
    F scale[3];
    F x, y, z, inverse_z;        // centre in the camera
    F jacobian_x, jacobian_y;    // tx / z and ty / z, clamped to the view
    F unclamped_x, unclamped_y;  // 1 where not clamped, else 0
    F a[6];                      // J W, 2x3
    F u[3], v[3];                // rows of J W M
    F cov_x, cov_y, cov_xy;      // with the low-pass filter
    F det, det_sharp;            // with and without it
    F conic_a, conic_b, conic_c;
    F mean_x, mean_y;
    F compensation;
};

template <class F>
ENDOGS_HD F clamp_between(F value, F low, F high) {
    return min(max(value, low), high);
}

template <class F>
ENDOGS_HD void project_gaussian(const F mean[3], const F quat[4], const F log_scale[3], const CameraView& camera,
                                Projected<F>& out) {
    const float* w = camera.rotation;
    out.x = F(w[0]) * mean[0] + F(w[1]) * mean[1] + F(w[2]) * mean[2] + F(camera.translation[0]);
    out.y = F(w[3]) * mean[0] + F(w[4]) * mean[1] + F(w[5]) * mean[2] + F(camera.translation[1]);
    out.z = F(w[6]) * mean[0] + F(w[7]) * mean[1] + F(w[8]) * mean[2] + F(camera.translation[2]);
    const F z = max(out.z, F(camera.near));  // those nearer are not drawn; this only keeps their numbers finite
    out.inverse_z = F(1.0f) / z;

    const F length = sqrt(quat[0] * quat[0] + quat[1] * quat[1] + quat[2] * quat[2] + quat[3] * quat[3]);
    out.inverse_norm = F(1.0f) / max(length, F(1e-12f));
    for (int k = 0; k < 4; ++k) out.quat[k] = quat[k] * out.inverse_norm;
    const F qw = out.quat[0], qx = out.quat[1], qy = out.quat[2], qz = out.quat[3], one(1.0f), two(2.0f);
    F* r = out.rotation;
    r[0] = one - two * (qy * qy + qz * qz);
    r[1] = two * (qx * qy - qw * qz);
    r[2] = two * (qx * qz + qw * qy);
    r[3] = two * (qx * qy + qw * qz);
    r[4] = one - two * (qx * qx + qz * qz);
    r[5] = two * (qy * qz - qw * qx);
    r[6] = two * (qx * qz - qw * qy);
    r[7] = two * (qy * qz + qw * qx);
    r[8] = one - two * (qx * qx + qy * qy);
    for (int k = 0; k < 3; ++k) out.scale[k] = exp(log_scale[k]);

    // The linearization is only trusted a little beyond the view (the bounds of gsplat and 3DGS).
    const float margin_x = 0.15f * camera.width / camera.fx, margin_y = 0.15f * camera.height / camera.fy;
    const F slope_x = out.x * out.inverse_z, slope_y = out.y * out.inverse_z;
    out.jacobian_x = clamp_between(slope_x, F(-camera.cx / camera.fx - margin_x),
                                   F((camera.width - camera.cx) / camera.fx + margin_x));
    out.jacobian_y = clamp_between(slope_y, F(-camera.cy / camera.fy - margin_y),
                                   F((camera.height - camera.cy) / camera.fy + margin_y));
    out.unclamped_x = select(abs(out.jacobian_x - slope_x) > F(0.0f), F(0.0f), F(1.0f));
    out.unclamped_y = select(abs(out.jacobian_y - slope_y) > F(0.0f), F(0.0f), F(1.0f));
    const F jx = F(camera.fx) * out.inverse_z, jy = F(camera.fy) * out.inverse_z;
    for (int k = 0; k < 3; ++k) {
        out.a[k] = jx * (F(w[k]) - out.jacobian_x * F(w[6 + k]));
        out.a[3 + k] = jy * (F(w[3 + k]) - out.jacobian_y * F(w[6 + k]));
    }
    for (int k = 0; k < 3; ++k) {
        out.u[k] = (out.a[0] * r[k] + out.a[1] * r[3 + k] + out.a[2] * r[6 + k]) * out.scale[k];
        out.v[k] = (out.a[3] * r[k] + out.a[4] * r[3 + k] + out.a[5] * r[6 + k]) * out.scale[k];
    }
    const F *u = out.u, *v = out.v;
    const F sharp_x = u[0] * u[0] + u[1] * u[1] + u[2] * u[2], sharp_y = v[0] * v[0] + v[1] * v[1] + v[2] * v[2];
    out.cov_xy = u[0] * v[0] + u[1] * v[1] + u[2] * v[2];
    const F m0 = u[1] * v[2] - u[2] * v[1], m1 = u[2] * v[0] - u[0] * v[2], m2 = u[0] * v[1] - u[1] * v[0];
    out.det_sharp = m0 * m0 + m1 * m1 + m2 * m2;
    const F blur(kLowPass);
    out.det = out.det_sharp + blur * (sharp_x + sharp_y) + blur * blur;
    out.cov_x = sharp_x + blur;
    out.cov_y = sharp_y + blur;
    const F inverse_det = F(1.0f) / out.det;
    out.conic_a = out.cov_y * inverse_det;
    out.conic_b = -out.cov_xy * inverse_det;
    out.conic_c = out.cov_x * inverse_det;
    out.mean_x = F(camera.fx) * slope_x + F(camera.cx);
    out.mean_y = F(camera.fy) * slope_y + F(camera.cy);
    out.compensation = camera.antialiased ? sqrt(out.det_sharp * inverse_det) : F(1.0f);
}

// Gradients of the loss by the projected quantities, in; by the Gaussian's own, out. `pose` receives the gradient by
// the 3x4 world-to-camera matrix (rows of rotation and translation).
template <class F>
struct ProjectionGradient {
    F mean_x, mean_y, conic_a, conic_b, conic_c, depth, compensation;
};

template <class F>
ENDOGS_HD void project_gaussian_backward(const F mean[3], const CameraView& camera, const Projected<F>& p,
                                         const ProjectionGradient<F>& g, F mean_grad[3], F quat_grad[4],
                                         F log_scale_grad[3], F pose[12], bool with_pose) {
    const F half(0.5f), two(2.0f);
    // The conic is the adjugate of cov over det. -X G X, the textbook form, cancels for needles (a 40 x 1 px one loses
    // 1 % of its gradient in float32); through det = |u x v|^2 + blur (|u|^2 + |v|^2) + blur^2 nothing does.
    const F *u = p.u, *v = p.v;
    const F inverse_det = F(1.0f) / p.det, blur(kLowPass);
    const F along_conic = g.conic_a * p.conic_a + g.conic_b * p.conic_b + g.conic_c * p.conic_c;
    const F vx = two * g.conic_c * inverse_det, vxy = -g.conic_b * inverse_det, vy = two * g.conic_a * inverse_det;
    F by_det = -along_conic * inverse_det, by_det_sharp(0.0f);
    if (camera.antialiased) {
        // compensation^2 = det_sharp / det
        const F gr = half * g.compensation / max(p.compensation, F(1e-12f)) * inverse_det;
        by_det = by_det - gr * p.det_sharp * inverse_det;
        by_det_sharp = gr;
    }
    // d |u x v|^2 = 2 (v x m) du + 2 (m x u) dv with m = u x v
    const F m[3] = {u[1] * v[2] - u[2] * v[1], u[2] * v[0] - u[0] * v[2], u[0] * v[1] - u[1] * v[0]};
    const F sharp = two * (by_det + by_det_sharp), blurred = two * blur * by_det;
    F gu[3], gv[3];
    for (int k = 0; k < 3; ++k) {
        const int i = (k + 1) % 3, j = (k + 2) % 3;
        gu[k] = (vx + blurred) * u[k] + vxy * v[k] + sharp * (v[i] * m[j] - v[j] * m[i]);
        gv[k] = (vy + blurred) * v[k] + vxy * u[k] + sharp * (m[i] * u[j] - m[j] * u[i]);
    }
    // U = A M with M = R diag(s)
    const F* r = p.rotation;
    F ga[6], gr[9];
    for (int k = 0; k < 6; ++k) ga[k] = F(0.0f);
    for (int k = 0; k < 3; ++k) {
        const F gus = gu[k] * p.scale[k], gvs = gv[k] * p.scale[k];
        F by_log_scale = gu[k] * p.u[k] + gv[k] * p.v[k];
        for (int j = 0; j < 3; ++j) {
            ga[j] = ga[j] + gus * r[3 * j + k];
            ga[3 + j] = ga[3 + j] + gvs * r[3 * j + k];
            gr[3 * j + k] = p.a[j] * gus + p.a[3 + j] * gvs;
        }
        log_scale_grad[k] = by_log_scale;
    }
    // R(q), then the normalization of q
    const F qw = p.quat[0], qx = p.quat[1], qy = p.quat[2], qz = p.quat[3];
    F gq[4];
    gq[0] = two * (qz * (gr[3] - gr[1]) + qy * (gr[2] - gr[6]) + qx * (gr[7] - gr[5]));
    gq[1] = two * (qy * (gr[1] + gr[3]) + qz * (gr[2] + gr[6]) + qw * (gr[7] - gr[5]) - two * qx * (gr[4] + gr[8]));
    gq[2] = two * (qx * (gr[1] + gr[3]) + qz * (gr[5] + gr[7]) + qw * (gr[2] - gr[6]) - two * qy * (gr[0] + gr[8]));
    gq[3] = two * (qx * (gr[2] + gr[6]) + qy * (gr[5] + gr[7]) + qw * (gr[3] - gr[1]) - two * qz * (gr[0] + gr[4]));
    const F along = gq[0] * qw + gq[1] * qx + gq[2] * qy + gq[3] * qz;
    for (int k = 0; k < 4; ++k) quat_grad[k] = (gq[k] - along * p.quat[k]) * p.inverse_norm;

    // A = J W: row 0 is fx/z (W_0 - l_x W_2), row 1 likewise
    const float* w = camera.rotation;
    const F jx = F(camera.fx) * p.inverse_z, jy = F(camera.fy) * p.inverse_z;
    const F g00 = ga[0] * F(w[0]) + ga[1] * F(w[1]) + ga[2] * F(w[2]);
    const F g02 = ga[0] * F(w[6]) + ga[1] * F(w[7]) + ga[2] * F(w[8]);
    const F g11 = ga[3] * F(w[3]) + ga[4] * F(w[4]) + ga[5] * F(w[5]);
    const F g12 = ga[3] * F(w[6]) + ga[4] * F(w[7]) + ga[5] * F(w[8]);
    // l = x / z where not clamped: d l = (dx - l dz) / z
    const F by_slope_x = -jx * g02 * p.unclamped_x + F(camera.fx) * g.mean_x;
    const F by_slope_y = -jy * g12 * p.unclamped_y + F(camera.fy) * g.mean_y;
    const F slope_x = p.x * p.inverse_z, slope_y = p.y * p.inverse_z;
    F gt[3];
    gt[0] = by_slope_x * p.inverse_z;
    gt[1] = by_slope_y * p.inverse_z;
    gt[2] = g.depth - p.inverse_z * (by_slope_x * slope_x + by_slope_y * slope_y + jx * (g00 - p.jacobian_x * g02) +
                                     jy * (g11 - p.jacobian_y * g12));
    for (int k = 0; k < 3; ++k) mean_grad[k] = F(w[k]) * gt[0] + F(w[3 + k]) * gt[1] + F(w[6 + k]) * gt[2];
    if (with_pose) {
        for (int k = 0; k < 3; ++k) {
            pose[k] = gt[0] * mean[k] + jx * ga[k];
            pose[4 + k] = gt[1] * mean[k] + jy * ga[3 + k];
            pose[8 + k] = gt[2] * mean[k] - jx * p.jacobian_x * ga[k] - jy * p.jacobian_y * ga[3 + k];
        }
        pose[3] = gt[0];
        pose[7] = gt[1];
        pose[11] = gt[2];
    }
}

}  // namespace
