//! Pictures of the page in every size and theme that is promised.

use std::path::PathBuf;

use crate::browser::{Page, Theme, with_page};

/// What is shown, by the name of its picture. A scene that needs clicks gets an arm in `prepare`.
const SCENES: [Scene; 1] = [Scene { name: "opening", address: "" }];

const SIZES: [(u32, u32); 2] = [(1440, 900), (360, 800)];

struct Scene {
    name: &'static str,
    /// What follows the page's address.
    address: &'static str,
}

async fn prepare(scene: &Scene, page: &Page) {
    page.open(scene.address).await;
    page.wait_for_text("Highwater").await;
}

#[test]
#[ignore = "needs the page and a browser: cargo xtask screenshots"]
fn screenshots_are_taken() {
    with_page("screenshots", async |page| {
        for scene in &SCENES {
            for (width, height) in SIZES {
                for theme in [Theme::Light, Theme::Dark] {
                    page.look(width, height, theme).await;
                    prepare(scene, &page).await;
                    let name = format!("{}-{width}x{height}-{theme}.png", scene.name);
                    page.screenshot(&PathBuf::from("target/screenshots").join(&name)).await;
                    println!("{name}");
                }
            }
        }
    });
}
